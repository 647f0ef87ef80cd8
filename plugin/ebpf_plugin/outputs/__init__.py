"""Who is told: the Netdata agent, a terminal."""

"""What the plugin measures of itself: charts in the menu Netdata Monitoring."""

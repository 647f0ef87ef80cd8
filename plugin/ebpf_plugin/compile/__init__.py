"""From C text to BPF instructions."""

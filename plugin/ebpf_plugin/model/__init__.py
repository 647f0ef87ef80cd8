"""What a group may say, as frozen data; and what the outputs get."""

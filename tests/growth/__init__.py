"""What the farm asks again and again, on tables of 1.7 million tasks: none of it takes longer the more there is."""

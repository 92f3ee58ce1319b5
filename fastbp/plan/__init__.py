"""What is to be computed, decided before anything is: a network's ops and offsets, and how it is trained."""

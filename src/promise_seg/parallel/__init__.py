"""Division of work among threads, among the processes of one computer, and into numbered parts."""

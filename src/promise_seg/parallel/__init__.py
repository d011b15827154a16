"""Work that is divided: among threads, among the processes of one computer, and into numbered parts."""

"""Who asks (`credentials`), and what they may (`policy`)."""

"""Images made for what a program needs: their text, their tag, and the one way to build them."""

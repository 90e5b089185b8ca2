"""Models of native code are first tried out in a process of their own."""

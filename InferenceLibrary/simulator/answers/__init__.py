"""What is answered: texts, tool calls, vectors and rankings, in the shapes of the APIs."""

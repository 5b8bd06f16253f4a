"""How a step's time grows with tokens and rows, and what single measures are worth."""

"""Units of every room."""

import torch

# Engines under test bring their own OpenMP threads. With a second pool, this thread's, there are
# more than cores, and libgomp puts waiting threads to sleep at once: both then take twice as long.
torch.set_num_threads(1)

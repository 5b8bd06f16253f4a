"""Units of every room."""

import torch

# Two processes run the tests on two cores: a thread each. Engines bring what their profiles say.
torch.set_num_threads(1)

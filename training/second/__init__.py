"""The second embedded model's recipe: 512 x 512, vector sources, stages. Not shipped yet."""

"""What files of networks there are, by the names that flags have for them."""

# `network`: at the network's own size; `photo`: any size in and out; `rembg`:
# as rembg's custom models are.
FORMS = ('network', 'photo', 'rembg')
PRECISIONS = ('float32', 'float16', 'int8')

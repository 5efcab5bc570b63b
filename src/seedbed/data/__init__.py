"""Token shards, packing and the order of presentation: what a training step is fed."""

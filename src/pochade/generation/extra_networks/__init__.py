"""What tags and words of a prompt ask for beside the model: LoRAs, embeddings, hypernetworks."""

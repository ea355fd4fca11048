"""The picture-book: a small world that Pochade draws, describes and judges by itself."""

"""Downloads: models from Hugging Face, Civitai and plain addresses, checked before they get their names."""

from pochade.library.downloads.bringing import Downloaded
from pochade.library.downloads.packages import Offer, Order
from pochade.library.downloads.run import download, downloading, offers

__all__ = ["Downloaded", "Offer", "Order", "download", "downloading", "offers"]

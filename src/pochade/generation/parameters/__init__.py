"""A1111's text of a picture: the parameters that a Request becomes, and back."""

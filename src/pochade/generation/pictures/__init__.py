"""Pictures that runs begin with, look at and give: read, sized, masked, enlarged, put together."""

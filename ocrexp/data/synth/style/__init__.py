"""The look of real text images, measured and put on other words."""

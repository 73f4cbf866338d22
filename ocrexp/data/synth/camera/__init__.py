"""What a camera does to a drawn word or page: the parts of the config group `dataset/camera`."""

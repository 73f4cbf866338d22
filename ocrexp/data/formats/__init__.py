"""The annotation formats that the field uses: readers that give entries, and writers that take them."""

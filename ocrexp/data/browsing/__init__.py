"""What `browse` knows of a data set without opening its images: texts, lengths, sizes, problems; and queries."""

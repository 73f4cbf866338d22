"""What `ocrexp bench` measures: pipeline, training step, metric, postprocess, inference, beside other tools."""

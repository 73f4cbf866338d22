"""From a trained run to a folder that runs without the training code: network, formats, description, parity gate."""

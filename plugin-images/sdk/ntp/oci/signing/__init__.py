"""Who made an image: keys, Sigstore bundles over in-toto statements, and what is verified of them."""

"""Finding plugins and installing what they need, without running their code here."""

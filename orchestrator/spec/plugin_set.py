"""What a PluginSet is called. Apart from its schema: whoever writes one needs none of the models."""

from typing import Final

GROUP: Final = "ntp.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
KIND: Final = "PluginSet"
PLURAL: Final = "pluginsets"
SINGULAR: Final = "pluginset"
SHORT: Final = "pset"

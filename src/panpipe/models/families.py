"""Which family a config.json's model_type belongs to. A new family is a file and a line here."""

from __future__ import annotations

from . import albert, bert, distilbert, electra, mpnet, roberta
from .family import Family

__all__ = ["FAMILIES"]

FAMILIES: dict[str, Family] = {
    model_type: module.FAMILY
    for module in (bert, distilbert, roberta, electra, albert, mpnet)
    for model_type in module.FAMILY.model_types
}

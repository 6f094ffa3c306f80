"""What every mapping of lab.yaml has in common."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic.fields import FieldInfo


class Section(BaseModel):
    """A mapping of lab.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _leave_out(cls, data: Any) -> Any:
        """A key without a value (``packages:`` with every line below commented out) is treated as absent."""
        if not isinstance(data, dict):
            return data
        known = keys(cls)
        return {key: value for key, value in data.items() if value is not None or key not in known}


def keys(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The keys of a section as lab.yaml has them; one that is a word of Python has another name in the model."""
    return {info.alias or name: info for name, info in model.model_fields.items()}

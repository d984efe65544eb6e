"""Infrastructure rendered to files through Jinja2 templates."""

from backplane_compiler.render.artifact import Artifact
from backplane_compiler.render.artifacts import render_artifacts
from backplane_compiler.render.manifest import manifest

__all__ = ["Artifact", "manifest", "render_artifacts"]

"""Infrastructure rendered to files through Jinja2 templates."""

from backplane_compiler.render.artifact import Artifact
from backplane_compiler.render.manifest import manifest
from backplane_compiler.render.render import render_artifacts

__all__ = ["Artifact", "manifest", "render_artifacts"]

"""Infrastructure rendered to files through Jinja2 templates."""

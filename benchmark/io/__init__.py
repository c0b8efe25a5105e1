"""Files, progress, terminal and Markdown: what every stage reads and writes with."""

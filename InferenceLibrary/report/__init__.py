"""Reports: one document, written as HTML, Markdown, JUnit or a table on the console; results as JSON with a schema."""

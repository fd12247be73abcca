"""Pages: blocks drawn as one offline HTML file, as static HTML for notebooks, or in the terminal. Knows no study and no section."""

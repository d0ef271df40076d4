"""Claims of `browser.py`, a file each; the scripts that run inside Pyodide lie beside them."""

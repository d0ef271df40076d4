"""What `standards.py` measures, a file for each subject: `claims()` gives figures with their bounds."""

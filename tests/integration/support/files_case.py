"""Tests that give files to a program, in a directory of their own."""

import os
import tempfile
import unittest


class FilesCase(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="larder-files-")
        self.addCleanup(directory.cleanup)
        self.directory = directory.name

    def write(self, name, text):
        """A file of that name and text; returns its path."""
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

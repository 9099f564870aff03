"""In front of PyTorch on PYTHONPATH, a machine without a GPU."""


class cuda:
    @staticmethod
    def is_available():
        return False

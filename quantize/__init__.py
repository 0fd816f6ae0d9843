"""From a float network to an int8 .tflite file to C."""

import model as model  # before numpy: model.threads

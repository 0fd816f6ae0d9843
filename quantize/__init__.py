"""From a float network to an int8 .tflite file to C."""

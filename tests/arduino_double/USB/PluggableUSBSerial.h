/* A double: all of it stands in Arduino.h. */

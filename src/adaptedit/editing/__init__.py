"""From a picture and a sentence to the edited picture."""

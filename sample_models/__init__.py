"""Small trained models, the scenes they were trained on, and the script that trains them."""

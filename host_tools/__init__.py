import model as model  # before numpy: model.threads

"""The layers of a model as its file states them: shapes, parameters, geometry."""

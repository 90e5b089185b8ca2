"""The messages on the topics: ``*.proto`` and the code that ``make proto`` generates from them."""

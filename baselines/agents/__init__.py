"""Agents that play RegionGrow: small networks, how they are saved and loaded, and how they are trained.

Loading and playing a saved agent needs no reinforcement-learning library; training needs stable-baselines3
(`pip install semrob[agents]`).
"""

from baselines.agents.actor import Actor as Actor
from baselines.agents.files import SavedAgent as SavedAgent
from baselines.agents.files import load_agent as load_agent
from baselines.agents.files import save_agent as save_agent

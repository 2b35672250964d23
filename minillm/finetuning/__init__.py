"""Fine-tuning: a pretrained model learns a task from a few labels."""
